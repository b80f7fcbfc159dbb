def make_accounts(*a): raise NotImplementedError
