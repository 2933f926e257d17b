"""Makes home-1.tar.gz: a small archive as a lantai of format 1 leaves it, with a history. Not to be made again: later
versions of lantai must open this one.

python tests/data/make_home.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        home, records = Path(place) / "home", Path(place) / "records"
        (records / "照片").mkdir(parents=True)
        (records / "活动方案.txt").write_text("第十二届金秋文化节活动方案\n", "utf-8")
        (records / "照片" / "开幕式.txt").write_text("not a picture, but it has a name\n", "utf-8")
        more = Path(place) / "总结.txt"
        more.write_text("圆满结束\n", "utf-8")

        def lantai(*words: str | Path) -> str:
            command = [sys.executable, "-m", "lantai", *map(str, words)]
            environment = {**os.environ, "LANTAI_BY": "王芳"}
            return subprocess.run(
                command, cwd=place, env=environment, check=True, capture_output=True, text=True
            ).stdout

        lantai("init", home, "--name", "云岭县档案馆")
        lantai("ingest", records, "--title", "第十二届金秋文化节", "--access", "closed", "--home", home)
        package = lantai("list", "--home", home, "--json").split('"')[3]
        lantai("update", package, "--add", more, "--reason", "补交", "--home", home)
        lantai("access", "set", package, "2051-01-01", "--reason", "未满三十年", "--ground", "statute", "--home", home)
        lantai("withdraw", package, "--reason", "隐私投诉", "--home", home)
        lantai("withdraw", package, "--undo", "--reason", "已核实", "--home", home)
        lantai("validate", "--home", home)
        shutil.make_archive(str(HERE / "home-1"), "gztar", home)


if __name__ == "__main__":
    main()
