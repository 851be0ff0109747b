"""The entrypoint."""

from common.command import main
from stages.frames.stage import STAGE

if __name__ == "__main__":
    main(STAGE)
