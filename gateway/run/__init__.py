"""The processes of Giftwire: the command line, the configuration, the servers beside us and those that watch them."""
