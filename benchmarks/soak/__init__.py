"""The soak: hostile and excessive requests sent to the real service, and what it did with them.

Run it with ``make soak``. `scenarios` lists what is sent, `goals` what must hold.
"""
