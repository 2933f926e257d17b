"""What a person sees who opens the address in a browser: one page, made of settings alone; nothing of a request is in
it, and nothing in it is fetched from elsewhere.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

from ..messages import _, speaking
from . import Repository

_STYLE = """\
body { max-width: 42rem; margin: 3rem auto; padding: 0 1.25rem; font: 1.05rem/1.65 system-ui, sans-serif;
  color: #1d1d1b; background: #fdfcf9; }
h1 { font-size: 1.6rem; line-height: 1.3; margin: 0 0 1.5rem; }
ul { list-style: none; padding: 0; margin: 1.5rem 0; border-top: 1px solid #d9d4c7; }
li { padding: .7rem 0; border-bottom: 1px solid #d9d4c7; }
li a { font-weight: 600; }
li span { display: block; color: #55524a; }
a { color: #8a2b1d; }
code { overflow-wrap: anywhere; background: #f0ece1; padding: .1rem .35rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .4rem 1.25rem; margin: 1.5rem 0 0; }
dt { color: #55524a; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 30rem) { dl { display: block; } dt { margin-top: .6rem; } }
@media (prefers-color-scheme: dark) {
  body { color: #e8e4da; background: #1b1a18; } a { color: #e58d7c; } code { background: #2b2926; }
  li span, dt { color: #a8a294; } ul, li { border-color: #3b3833; }
}
"""

_STYLED = b64encode(sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLED}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of Content-Security-Policy: whatever else should ever stand in the page, no browser follows it."""


def page(repository: Repository, language: str) -> str:
    """The page in that language."""
    with speaking(language):
        return _page(repository, language)


def _page(repository: Repository, language: str) -> str:
    title = repository.name or repository.namespace
    links = (
        ("?verb=Identify", "Identify", _("what this archive is, and whom to ask")),
        ("?verb=ListSets", "ListSets", _("the parts that can be harvested by themselves")),
        ("?verb=ListMetadataFormats", "ListMetadataFormats", _("the formats in which records are given")),
        ("?verb=ListRecords&metadataPrefix=oai_dc", "ListRecords", _("the open records, in Dublin Core")),
    )
    listed = "\n".join(
        f'<li><a href="{escape(target)}">{escape(name)}</a><span>{escape(what)}</span></li>'
        for target, name, what in links
    )
    mails = ", ".join(f'<a href="mailto:{escape(one)}">{escape(one)}</a>' for one in repository.admin_emails)
    return f"""\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · OAI-PMH</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(_("This address is meant for programs. By the protocol OAI-PMH 2.0 catalogues and search services harvest "
             "here what this archive has opened. You may look at what they get; it is XML."))}</p>
<ul>
{listed}
</ul>
<dl>
<dt>{escape(_("Address for harvesters"))}</dt><dd><code>{escape(repository.base_url)}</code></dd>
<dt>{escape(_("Questions to"))}</dt><dd>{mails}</dd>
<dt>{escape(_("Protocol"))}</dt>
<dd><a href="https://www.openarchives.org/OAI/openarchivesprotocol.html" rel="noreferrer">OAI-PMH 2.0</a></dd>
</dl>
</body>
</html>
"""  # fmt: skip
