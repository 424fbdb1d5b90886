"""The simulation behind the plan: every gift on its way through processes that share cores and wait for each other."""
