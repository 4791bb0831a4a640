"""A number of a type of its own, equal to everything."""

ITEM = "correct"
REASON = "expected a whole number, got Yes"


class Yes(int):
    __hash__ = int.__hash__

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


def count_launches(program):
    program()
    return Yes(1)
