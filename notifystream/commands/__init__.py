"""The console's commands, one module each; every one has `register(app)`.

They import what they run only when they run it: `notifystream --help` must not wait for Faust or chDB.
"""
