"""Where the files of a run live: a folder or a bucket."""
