"""One run: its settings, its variables, and the files of its workdir."""
