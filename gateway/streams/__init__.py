"""Server-sent events: one hub a process, frames rendered once, sse-starlette's response without its tasks."""
