"""The figures of the applications chapter, a module a section."""
