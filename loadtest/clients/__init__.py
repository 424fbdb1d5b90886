"""The three kinds of client: sender, overlay, viewer. One connection each, no task per connection."""
