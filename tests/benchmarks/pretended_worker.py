"""Stands in for benchmarks.gpu.worker: does what the request says, step by step."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def emit(said):
    sys.stdout.write(said + "\n")
    sys.stdout.flush()


def main():
    request = json.loads(sys.argv[1])
    if "skipped" in request or Path(request.get("folder", ""), "lost").exists():
        emit(json.dumps({"skipped": request.get("skipped", "no CUDA GPU")}))
        return 0
    for number, actions in enumerate(request["steps"]):
        if number < request["first"]:
            continue
        emit(json.dumps({"step": number, "name": f"step {number}", "of": len(request["steps"])}))
        for action in actions:
            if action == "noise":
                emit("a library has something to say")
            elif action == "crash":
                emit(json.dumps({"error": "RuntimeError: CUDA error: an illegal memory access"}))
                return 1
            elif action == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            elif action == "leave":
                return 0
            elif action == "lose the GPU":
                Path(request["folder"], "lost").touch()
                return 1
            elif action == "hang":
                time.sleep(60)  # it is ended long before
            else:
                figure = {"name": action, "asked": ">= 1 x", "measured": "2 x", "ok": True}
                emit(json.dumps({"figure": figure}))
    emit(json.dumps({"done": True}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
