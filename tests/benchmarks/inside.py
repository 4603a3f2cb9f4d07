"""Runs functions in a process with a project's settings: reads their names and arguments, prints what they yield.

Each line of the input is ``["module:function", {"argument": 1}]``, each line of the output an item, and ``null`` after
the last one.
"""

import json
import pkgutil
import sys

import django

if __name__ == "__main__":
    django.setup()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        for item in pkgutil.resolve_name(name)(**arguments):
            print(json.dumps(item), flush=True)
        print("null", flush=True)
