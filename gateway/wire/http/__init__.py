"""The shapes of every HTTP body and answer, as frozen msgspec Structs, by who asks.

The same rules as for the WebSocket's messages: unknown fields of a body are passed over, amounts are integers up to
2^53-1, times are milliseconds since the Unix epoch. Where an answer has nothing to say in a field it says null.
"""
