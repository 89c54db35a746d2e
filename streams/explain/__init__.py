"""Why somebody was, or was not, told: the values, decisions and deliveries behind an alert, or behind silence.

`ask` reads what it needs from the log; the other modules are pure. Nothing is imported here: who only needs `setup`
does without the kernel.
"""
