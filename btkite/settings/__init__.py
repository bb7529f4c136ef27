"""What :mod:`btkite.config` is made of: the sections, their reading, their error sentences, their print."""
