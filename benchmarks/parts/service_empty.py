"""An empty FastAPI route by the same uvicorn settings as the service's: python service_empty.py PORT."""

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def empty() -> dict[str, bool]:
    """Nothing."""
    return {"ok": True}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_config=None, server_header=False)
