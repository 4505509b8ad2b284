"""One run: the files of its workdir, their formats, and how they are read."""
