"""model <-> METS, PREMIS, Dublin Core, BagIt tag files; and what a description means. No input or output of its own.

term       what an element says: dc.title, isadg.extent, a DA/T 46 name, or a sheet's own column heading
heading    how a term is written at the top of a column, in any language (headings.csv)
level      ISAD(G) 3.1.4, in either language (levels.csv)
date span  a date as written, with the first and the last day it can mean (dates.py; reigns in eras.csv)
extent     a number and a unit (extents.py)
"""
