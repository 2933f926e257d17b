"""The package: one version of an OCFL object that is a BagIt bag that holds an E-ARK CSIP package.

anatomy:   where each thing lies
write:     everything around the payload, into a draft; verify: the proof, before the commit, that all of it fits
read:      the same read back, as the catalogue is told of it
validate:  a stored package, whole: every digest, inventory against content, the bag and its documents
export:    a version as a bag, as files, as a zip
"""
