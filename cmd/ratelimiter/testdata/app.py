"""An application in Python that has nothing but its standard library. It writes what it got as
one line of JSON for each step."""

import json
import os
import sys
import urllib.error
import urllib.request

MESSAGES = [{"role": "user", "content": "hello"}]


def post(path, body, headers=()):
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + path,
        json.dumps(body).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"],
            **dict(headers),
        },
    )
    return urllib.request.urlopen(request, timeout=60)


def chat():
    with post("/chat/completions", {"model": "m", "messages": MESSAGES, "max_completion_tokens": 8}) as r:
        answer = json.load(r)
    return {"text": answer["choices"][0]["message"]["content"], "tokens": answer["usage"]["total_tokens"]}


def stream():
    body = {"model": "m", "messages": MESSAGES, "max_completion_tokens": 8, "stream": True}
    chunks, text = 0, ""
    with post("/chat/completions", body) as r:
        for line in r:
            data = line.decode().removeprefix("data: ").strip()
            if data and data != "[DONE]":
                chunks += 1
                text += json.loads(data)["choices"][0]["delta"].get("content", "")
    return {"chunks": chunks, "text": text}


for step in sys.argv[1:]:
    try:
        got = {"chat": chat, "stream": stream}[step]()
    except urllib.error.HTTPError as e:
        error = json.load(e)["error"]
        got = {"status": e.code, "code": error["code"], "type": error["type"], "retryAfter": e.headers["Retry-After"]}
    print(json.dumps({"step": step, "attempts": 1, **got}), flush=True)
