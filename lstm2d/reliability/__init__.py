"""Checks that nothing is lost: killed trainings, damaged files, bad inputs, equal bits, exact gradients."""
