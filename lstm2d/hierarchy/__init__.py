"""Label hierarchies: frequent classes divided into subclasses, after Wang et al. (2017)."""
