"""A bank account: the file in which docs/generate.md asks for code."""


class Account:
    """Money that belongs to somebody."""

    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount):
        """Put money in."""
        self.balance = self.balance + amount
        return self.balance

    def withdraw(self, amount):
        """Take money out."""
        self.balance = self.balance - amount
        return self.balance

    def transfer(self, other, amount):
        """Take money out here and put it in there."""
