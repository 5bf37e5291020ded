"""`python -m maskgit_lab train schedule=cosine`, the same as `maskgit-lab train schedule=cosine`."""

from maskgit_lab.launch.program import main

if __name__ == "__main__":
    main()
