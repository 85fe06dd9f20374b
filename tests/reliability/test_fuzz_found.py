"""Inputs that fuzzing found: each once ended a reader with another error, a crash, or took too long."""
