"""Whether W&B can be reached, found out in seconds: its own attempts take a minute and a half."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from http.client import HTTPException
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import HTTPRedirectHandler, Request, build_opener

import wandb

CONNECT_SECONDS = 5.0
QUESTION = json.dumps({"query": "query Viewer { viewer { id } }"}).encode()
MOST_BYTES = 2**16  # of the answer


class _Stay(HTTPRedirectHandler):
    """A server that redirects is there."""

    def redirect_request(self, *arguments: Any) -> None:
        """Follows no redirection."""


def why_offline(mode: str = "auto") -> str:
    """Why W&B cannot be used, in a few words; empty if it can.

    Args:
        mode: `offline`; `auto`, in which the environment decides; or `online`, which the environment does not change.
    """
    if mode == "offline":
        return "as asked"
    if mode == "auto" and wandb.setup().settings.mode in ("offline", "disabled"):
        return "because of WANDB_MODE"
    try:
        if not wandb.login(prompt=False, verify=False):
            return "no account: `wandb login` adds one"
    except wandb.Error:
        return "the API key is not valid: `wandb login` sets another"
    return why_unreachable()


def why_unreachable() -> str:
    """Why the server does not answer as W&B does, in a few words; empty if it does.

    The question is asked in a thread, since to look up a name can take longer than any time-out.
    """
    settings = wandb.setup().settings
    host, found = urlparse(settings.base_url).hostname, list[str]()
    thread = Thread(target=lambda: found.append(_ask(settings)), daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return (found[0] and found[0].format(host=host)) if found else f"no connection to {host}"


def _ask(settings: wandb.Settings) -> str:
    headers = {"Content-Type": "application/json", "User-Agent": f"wandb/{wandb.__version__}", **_account(settings)}
    request = Request(f"{settings.base_url.rstrip('/')}/graphql", data=QUESTION, headers=headers)
    try:
        with build_opener(_Stay).open(request, timeout=CONNECT_SECONDS) as reply:
            answer = json.loads(reply.read(MOST_BYTES))
        known = answer["data"]["viewer"] is not None or not settings.api_key
        return "" if known else "{host} does not know this account: `wandb login` sets another"
    except HTTPError as error:
        return _refusal(error.code)
    except URLError as error:  # of a certificate W&B's own process is the judge
        return "" if isinstance(error.reason, ssl.SSLError) else "no connection to {host}"
    except (OSError, HTTPException):
        return "no connection to {host}"
    except (ValueError, KeyError, TypeError):
        return "{host} does not answer as W&B does"


def _refusal(code: int) -> str:
    """What a code of HTTP means; any other than these W&B may know what to do with."""
    if code == 401:
        return "{host} does not accept this account: `wandb login` sets another"
    return f"{{host}} answers with error {code}" if code == 404 or code >= 500 else ""


def _account(settings: wandb.Settings) -> Mapping[str, str]:
    if not settings.api_key:  # it has another form of account
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'api:{settings.api_key}'.encode()).decode()}"}
