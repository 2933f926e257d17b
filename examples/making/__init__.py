"""How the example submission of a county's autumn festival was made.

office:     flat OpenDocument text and sheets, and LibreOffice that turns them into what a county office keeps
papers:     the wording of the plan, the notice, the speech, the summary, the guest list and the budget
pictures:   photographs and poster, painted with Pillow
recordings: speech by espeak-ng, music by plucked strings, film by ffmpeg
sheet:      metadata.csv
"""
