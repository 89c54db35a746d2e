"""One package per hop: probe, detect, alert, notify, history, gateway. The shell around streams/."""
