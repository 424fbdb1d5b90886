"""Drives a Giftwire server through its public protocol and checks from outside what it answered."""
