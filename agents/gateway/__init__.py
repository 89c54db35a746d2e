"""Topics and SQL in; REST, WebSocket and the dashboard out."""
