"""`python -m benchmarks`: every benchmark, one after the other."""

from benchmarks import first_load

if __name__ == "__main__":
    first_load.main()
