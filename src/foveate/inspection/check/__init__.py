"""`foveate check`: the contract of attention modules, checked on a module of any origin."""
