"""The trends and the challenges of the outlook chapter, each as an experiment that runs."""
