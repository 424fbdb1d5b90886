"""What creators and agencies have earned, and how it is paid to them."""
