#!/usr/bin/env python3
"""Real clients against a running server: openai, anthropic, ollama, langchain-openai, llama-index.

check_clients.py --url http://127.0.0.1:8080 [--model NAME] [--embedding-model NAME] [--key KEY] [--only WORD]
Every check is a function whose name begins with check_; the exit code is 1 if one of them fails.
"""

import argparse
import json
import sys
import time
import traceback

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def expect(truth, *shown):
    if not truth:
        raise AssertionError(" ".join(str(one) for one in shown) or "not as it should be")


def check_openai_chat(a):
    answer = a.openai.chat.completions.create(model=a.model, messages=QUESTION, max_tokens=30, temperature=0)
    expect("Paris" in answer.choices[0].message.content, answer)
    expect(answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens)
    chunks = list(
        a.openai.chat.completions.create(
            model=a.model,
            messages=QUESTION,
            max_tokens=30,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    expect(text == answer.choices[0].message.content, text)
    expect(chunks[-1].usage.completion_tokens == answer.usage.completion_tokens)
    expect(chunks[-1].usage.prompt_tokens_details.cached_tokens > 0, chunks[-1].usage)


def check_openai_several_answers(a):
    answer = a.openai.chat.completions.create(
        model=a.model, messages=QUESTION, max_tokens=8, n=3, seed=7, temperature=1, logprobs=True, top_logprobs=2
    )
    expect(len(answer.choices) == 3)
    expect(len(answer.choices[2].logprobs.content[0].top_logprobs) == 2)
    again = a.openai.chat.completions.create(
        model=a.model, messages=QUESTION, max_tokens=8, n=3, seed=7, temperature=1
    )
    expect([c.message.content for c in again.choices] == [c.message.content for c in answer.choices])


def check_openai_tools(a):
    answer = a.openai.chat.completions.create(
        model=a.model, messages=QUESTION, tools=[TOOL], tool_choice="required", max_tokens=120, temperature=0
    )
    call = answer.choices[0].message.tool_calls[0]
    expect(call.function.name == "weather" and "city" in json.loads(call.function.arguments), call)
    expect(answer.choices[0].finish_reason == "tool_calls", answer)
    pieces = ""
    for chunk in a.openai.chat.completions.create(
        model=a.model,
        messages=QUESTION,
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        max_tokens=120,
        temperature=0,
        stream=True,
    ):
        for one in chunk.choices[0].delta.tool_calls or []:
            pieces += one.function.arguments or ""
    expect("city" in json.loads(pieces), pieces)
    followed = a.openai.chat.completions.create(
        model=a.model,
        messages=QUESTION
        + [answer.choices[0].message.model_dump(exclude_none=True)]
        + [{"role": "tool", "tool_call_id": call.id, "content": "sunny"}],
        tools=[TOOL],
        max_tokens=10,
    )
    expect(followed.usage.completion_tokens > 0)


def check_openai_structured(a):
    import pydantic

    class Person(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=20)
        age: int = pydantic.Field(ge=0, le=120)

    answer = a.openai.chat.completions.parse(
        model=a.model,
        messages=[{"role": "user", "content": "Anna is 31. Who is it?"}],
        response_format=Person,
        max_tokens=100,
        temperature=0,
    )
    expect(isinstance(answer.choices[0].message.parsed, Person), answer)


def check_openai_completions(a):
    answer = a.openai.completions.create(
        model=a.model, prompt=["Once upon", "The mill"], max_tokens=5, logprobs=1, temperature=0
    )
    expect(len(answer.choices) == 2 and answer.choices[0].logprobs.tokens)
    streamed = "".join(
        c.choices[0].text
        for c in a.openai.completions.create(
            model=a.model, prompt="Once upon", max_tokens=5, temperature=0, stream=True
        )
    )
    expect(streamed == answer.choices[0].text, streamed)


def check_openai_responses(a):
    answer = a.openai.responses.create(model=a.model, input=QUESTION, max_output_tokens=30, temperature=0)
    expect("Paris" in answer.output_text, answer)
    with a.openai.responses.stream(
        model=a.model, input=QUESTION, max_output_tokens=30, temperature=0
    ) as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    expect(text == answer.output_text == final.output_text, text)
    tool = dict(TOOL["function"], type="function")
    called = a.openai.responses.create(
        model=a.model, input="Weather in Paris?", tools=[tool], tool_choice="required", max_output_tokens=120
    )
    expect(any(item.type == "function_call" and item.name == "weather" for item in called.output), called)
    shaped = a.openai.responses.create(
        model=a.model,
        input="Anna is 31.",
        max_output_tokens=100,
        temperature=0,
        text={"format": {"type": "json_schema", "name": "p", "schema": SCHEMA, "strict": True}},
    )
    expect("age" in json.loads(shaped.output_text), shaped)


def check_openai_embeddings(a):
    model = a.embedding_model or a.model
    answer = a.openai.embeddings.create(model=model, input=["a cat", "a dog", "a cat"])  # base64 on the wire
    expect(len(answer.data) == 3)
    plain = a.openai.embeddings.create(model=model, input="a cat", encoding_format="float")
    expect(
        max(abs(x - y) for x, y in zip(plain.data[0].embedding, answer.data[0].embedding)) < 1e-6
        and abs(sum(x * x for x in plain.data[0].embedding) - 1) < 1e-4
    )


def check_openai_models_and_errors(a):
    import openai

    expect(a.model in [m.id for m in a.openai.models.list()])
    expect(a.openai.models.retrieve(a.model).id == a.model)
    for error, wish in (
        (openai.NotFoundError, dict(model="no-such-model")),
        (openai.BadRequestError, dict(temperature=9)),
        (openai.BadRequestError, dict(messages=[{"role": "user", "content": "long " * 20000}])),
    ):
        try:
            a.openai.chat.completions.create(**{"model": a.model, "messages": QUESTION, **wish})
            raise RuntimeError(f"{wish} was taken")
        except error as caught:
            expect(caught.body["message"] and caught.param in ("model", "temperature", "messages"), caught)


def check_openai_stream_can_be_left(a):
    stream = a.openai.chat.completions.create(
        model=a.model, messages=QUESTION, max_tokens=1000, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    stream.close()
    began = time.monotonic()
    check_openai_chat(a)
    expect(time.monotonic() - began < 30, "the answer that was left went on")


def check_anthropic(a):
    import anthropic

    greedy = {"temperature": 0}  # newer versions of the package have no argument for it

    answer = a.anthropic.messages.create(
        model=a.model, max_tokens=30, messages=QUESTION, system="Answer shortly.", extra_body=greedy
    )
    expect(answer.content[0].type == "text" and answer.usage.output_tokens > 0, answer)
    with a.anthropic.messages.stream(
        model=a.model, max_tokens=30, messages=QUESTION, system="Answer shortly.", extra_body=greedy
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    expect(text == answer.content[0].text and final.stop_reason == answer.stop_reason, text)
    count = a.anthropic.messages.count_tokens(model=a.model, messages=QUESTION, system="Answer shortly.")
    usage = answer.usage
    expect(count.input_tokens == usage.input_tokens + usage.cache_read_input_tokens, count)
    tool = {"name": "weather", "description": "The weather", "input_schema": TOOL["function"]["parameters"]}
    called = a.anthropic.messages.create(
        model=a.model, max_tokens=120, messages=QUESTION, tools=[tool], tool_choice={"type": "any"}
    )
    use = next(block for block in called.content if block.type == "tool_use")
    expect(use.name == "weather" and "city" in use.input and called.stop_reason == "tool_use", called)
    with a.anthropic.messages.stream(
        model=a.model, max_tokens=120, messages=QUESTION, tools=[tool], tool_choice={"type": "tool", "name": "weather"}
    ) as stream:
        final = stream.get_final_message()
    expect(any(b.type == "tool_use" and "city" in b.input for b in final.content), final)
    a.anthropic.messages.create(
        model=a.model,
        max_tokens=10,
        tools=[tool],
        messages=QUESTION
        + [{"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in called.content]}]
        + [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}]}],
    )
    try:
        a.anthropic.messages.create(model="no-such-model", max_tokens=5, messages=QUESTION)
        raise RuntimeError("an unknown model was taken")
    except anthropic.NotFoundError as caught:
        expect(caught.body["error"]["type"] == "not_found_error", caught)


def check_ollama(a):
    import ollama

    options = {"temperature": 0, "num_predict": 30}
    answer = a.ollama.chat(model=a.model, messages=QUESTION, options=options)
    expect("Paris" in answer.message.content and answer.eval_count > 0, answer)
    text = "".join(
        c.message.content for c in a.ollama.chat(model=a.model, messages=QUESTION, options=options, stream=True)
    )
    expect(text == answer.message.content, text)
    expect(a.ollama.generate(model=a.model, prompt="Hi", options=options).response)
    shaped = a.ollama.chat(
        model=a.model,
        messages=[{"role": "user", "content": "Anna is 31."}],
        format=SCHEMA,
        options={"temperature": 0, "num_predict": 100},
    )
    expect("age" in json.loads(shaped.message.content), shaped)
    a.ollama.chat(model=a.model, messages=QUESTION, tools=[TOOL], options=options)
    embedded = a.ollama.embed(model=a.embedding_model or a.model, input=["a cat", "a dog"])
    expect(len(embedded.embeddings) == 2)
    expect(a.model in [m.model for m in a.ollama.list().models])
    expect(a.ollama.show(a.model).modelinfo)
    expect(a.model in [m.model for m in a.ollama.ps().models])
    try:
        a.ollama.chat(model="no-such-model", messages=QUESTION)
        raise RuntimeError("an unknown model was taken")
    except ollama.ResponseError as caught:
        expect(caught.status_code == 404, caught)


def check_langchain(a):
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    chat = ChatOpenAI(base_url=a.url + "/v1", api_key=a.key, model=a.model, temperature=0, max_tokens=60)
    answer = chat.invoke("What is the capital of France?")
    expect("Paris" in answer.content, answer)
    expect("".join(c.content for c in chat.stream("What is the capital of France?")) == answer.content)
    called = chat.bind_tools([TOOL], tool_choice="weather").invoke("Weather in Paris?")
    expect(called.tool_calls and called.tool_calls[0]["name"] == "weather", called)
    shaped = chat.with_structured_output({"title": "Person", **SCHEMA}, method="json_schema").invoke("Anna is 31.")
    expect("age" in shaped, shaped)
    vectors = OpenAIEmbeddings(base_url=a.url + "/v1", api_key=a.key, model=a.embedding_model or a.model,
                               check_embedding_ctx_length=False)
    expect(len(vectors.embed_documents(["a cat", "a dog"])) == 2)


def check_llama_index(a):
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai_like import OpenAILike

    model = OpenAILike(
        model=a.model, api_base=a.url + "/v1", api_key=a.key, is_chat_model=True, temperature=0, max_tokens=30
    )
    messages = [ChatMessage(role="user", content="What is the capital of France?")]
    answer = model.chat(messages)
    expect("Paris" in answer.message.content, answer)
    expect("".join(c.delta for c in model.stream_chat(messages)) == answer.message.content)
    plain = OpenAILike(model=a.model, api_base=a.url + "/v1", api_key=a.key, is_chat_model=False, max_tokens=5)
    expect(plain.complete("Once upon").text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", default="", help="the first that the server lists, unless given")
    parser.add_argument("--embedding-model", default="")
    parser.add_argument("--key", default="none")
    parser.add_argument("--only", default="")
    a = parser.parse_args()
    import anthropic
    import ollama
    import openai

    a.openai = openai.OpenAI(base_url=a.url + "/v1", api_key=a.key, max_retries=0, timeout=60)
    a.anthropic = anthropic.Anthropic(base_url=a.url, api_key=a.key, max_retries=0, timeout=60)
    a.ollama = ollama.Client(host=a.url, headers={"Authorization": "Bearer " + a.key}, timeout=60)
    a.model = a.model or next(iter(a.openai.models.list())).id
    failed = 0
    for name, check in list(globals().items()):
        if not name.startswith("check_") or a.only not in name:
            continue
        began = time.monotonic()
        try:
            check(a)
            print(f"ok      {name[6:]} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name[6:]}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failed else 0)


main()
