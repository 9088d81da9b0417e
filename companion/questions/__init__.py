"""The founder's questions of the last chapter, each answered by what runs."""
