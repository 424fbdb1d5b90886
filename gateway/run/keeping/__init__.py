"""Processes, and the folder that they share: started, watched, replaced and ended."""
