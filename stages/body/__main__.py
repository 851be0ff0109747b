"""The entrypoint."""

from common.command import main
from stages.body.stage import STAGE

if __name__ == "__main__":
    main(STAGE)
