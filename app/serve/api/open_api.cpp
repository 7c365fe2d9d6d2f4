#include "app/serve/api/open_api.h"

#include <array>
#include <string_view>

namespace quern::app::serve {
namespace {

struct Line {
  std::string_view method, path, summary, tag;
  std::string_view body;    ///< a schema below; empty: none
  std::string_view stream;  ///< the type of a streamed answer; empty: it comes whole
};

constexpr std::array<Line, 26> kLines = {{
    {"post", "/v1/chat/completions", "The next message of a conversation", "OpenAI", "ChatRequest",
     "text/event-stream"},
    {"post", "/v1/completions", "How texts go on", "OpenAI", "CompletionRequest", "text/event-stream"},
    {"post", "/v1/responses", "The next items of a conversation; nothing is kept", "OpenAI",
     "ResponseRequest", "text/event-stream"},
    {"post", "/v1/embeddings", "Vectors of texts", "OpenAI", "EmbeddingRequest", ""},
    {"post", "/v1/rerank", "Texts in the order of how well they answer", "Rerank", "RerankRequest", ""},
    {"post", "/rerank", "The same", "Rerank", "RerankRequest", ""},
    {"get", "/v1/models", "The models here", "OpenAI", "", ""},
    {"get", "/v1/models/{model}", "One of them", "OpenAI", "", ""},
    {"post", "/v1/messages", "The next message of a conversation", "Anthropic", "MessageRequest",
     "text/event-stream"},
    {"post", "/v1/messages/count_tokens", "How long its prompt is", "Anthropic", "CountRequest", ""},
    {"post", "/api/chat", "The next message of a conversation", "Ollama", "OllamaChat",
     "application/x-ndjson"},
    {"post", "/api/generate", "An answer to a text", "Ollama", "OllamaGenerate", "application/x-ndjson"},
    {"post", "/api/embed", "Vectors of texts", "Ollama", "OllamaEmbed", ""},
    {"post", "/api/embeddings", "The vector of a text", "Ollama", "OllamaEmbeddings", ""},
    {"get", "/api/tags", "The models here", "Ollama", "", ""},
    {"post", "/api/show", "What a model says of itself", "Ollama", "OllamaModel", ""},
    {"get", "/api/ps", "The models that are loaded", "Ollama", "", ""},
    {"get", "/api/version", "The program's version", "Ollama", "", ""},
    {"post", "/api/pull", "Refused", "Ollama", "", ""},
    {"delete", "/api/delete", "Refused", "Ollama", "", ""},
    {"post", "/tokenize", "A text's tokens", "Tokens", "TokenizeRequest", ""},
    {"post", "/detokenize", "Tokens' text", "Tokens", "DetokenizeRequest", ""},
    {"post", "/apply-template", "A conversation as the model sees it", "Tokens", "TemplateRequest", ""},
    {"post", "/infill", "What stands between two texts", "Tokens", "InfillRequest", "text/event-stream"},
    {"get", "/metrics", "Counters for Prometheus", "Server", "", ""},
    {"get", "/openapi.json", "This document", "Server", "", ""},
}};

/// Bodies: the fields that must be there, and the types and ranges of the common ones. Others are ignored.
constexpr const char* kSchemas = R"json({
  "Sampling": {"type": "object", "properties": {
    "model": {"type": ["string", "null"]},
    "stream": {"type": ["boolean", "null"]},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "top_k": {"type": ["integer", "null"], "minimum": 0, "maximum": 1073741824},
    "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "frequency_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
    "presence_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
    "seed": {"type": ["integer", "null"]},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
    "stop": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1}}]},
    "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 1073741824},
    "logit_bias": {"type": ["object", "null"], "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}}}},
  "Content": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "object",
    "required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}}]},
  "Message": {"type": "object", "required": ["role", "content"], "properties": {
    "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
    "content": {"$ref": "#/components/schemas/Content"}}},
  "Tool": {"type": "object", "required": ["type", "function"], "properties": {"type": {"const": "function"},
    "function": {"type": "object", "required": ["name"], "properties": {
      "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"}, "description": {"type": "string"},
      "parameters": {"type": "object"}}}}},
  "ChatRequest": {"allOf": [{"$ref": "#/components/schemas/Sampling"}], "type": "object", "required": ["messages"],
    "properties": {"messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Message"}},
      "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 1073741824},
      "logprobs": {"type": ["boolean", "null"]}, "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
      "response_format": {"type": ["object", "null"]}, "tools": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/Tool"}},
      "parallel_tool_calls": {"type": ["boolean", "null"]}, "stream_options": {"type": ["object", "null"]}}},
  "Texts": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}},
    {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}]},
  "CompletionRequest": {"allOf": [{"$ref": "#/components/schemas/Sampling"}], "type": "object", "required": ["prompt"],
    "properties": {"prompt": {"$ref": "#/components/schemas/Texts"}, "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20}}},
  "ResponseRequest": {"type": "object", "required": ["input"], "properties": {"model": {"type": ["string", "null"]},
    "input": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]},
    "instructions": {"type": ["string", "null"]}, "stream": {"type": ["boolean", "null"]},
    "max_output_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 1073741824}}},
  "EmbeddingRequest": {"type": "object", "required": ["input"], "properties": {"model": {"type": ["string", "null"]},
    "input": {"$ref": "#/components/schemas/Texts"}, "encoding_format": {"enum": ["float", "base64", null]},
    "dimensions": {"type": ["integer", "null"], "minimum": 1}}},
  "RerankRequest": {"type": "object", "required": ["query", "documents"], "properties": {"model": {"type": ["string", "null"]},
    "query": {"type": "string", "minLength": 1}, "documents": {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"type": "string"}},
    "top_n": {"type": ["integer", "null"], "minimum": 1}, "return_documents": {"type": ["boolean", "null"]}}},
  "MessageRequest": {"type": "object", "required": ["messages", "max_tokens"], "properties": {"model": {"type": ["string", "null"]},
    "max_tokens": {"type": "integer", "minimum": 1, "maximum": 1073741824},
    "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role", "content"]}},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 1}, "stream": {"type": ["boolean", "null"]}}},
  "CountRequest": {"type": "object", "required": ["messages"], "properties": {"model": {"type": ["string", "null"]},
    "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role", "content"]}}}},
  "OllamaChat": {"type": "object", "required": ["model"], "properties": {"model": {"type": "string", "minLength": 1},
    "messages": {"type": ["array", "null"], "items": {"type": "object", "required": ["role"]}},
    "stream": {"type": ["boolean", "null"]}, "options": {"type": ["object", "null"]}}},
  "OllamaGenerate": {"type": "object", "required": ["model"], "properties": {"model": {"type": "string", "minLength": 1},
    "prompt": {"type": ["string", "null"]}, "system": {"type": ["string", "null"]}, "raw": {"type": ["boolean", "null"]},
    "stream": {"type": ["boolean", "null"]}, "options": {"type": ["object", "null"]}}},
  "OllamaEmbed": {"type": "object", "required": ["model", "input"], "properties": {"model": {"type": "string", "minLength": 1},
    "input": {"$ref": "#/components/schemas/Texts"}}},
  "OllamaEmbeddings": {"type": "object", "required": ["model", "prompt"], "properties": {"model": {"type": "string", "minLength": 1},
    "prompt": {"type": "string"}}},
  "OllamaModel": {"type": "object", "required": ["model"], "properties": {"model": {"type": "string", "minLength": 1}}},
  "TokenizeRequest": {"type": "object", "required": ["content"], "properties": {"model": {"type": ["string", "null"]},
    "content": {"type": "string"}, "add_special": {"type": ["boolean", "null"]}, "with_pieces": {"type": ["boolean", "null"]}}},
  "DetokenizeRequest": {"type": "object", "required": ["tokens"], "properties": {"model": {"type": ["string", "null"]},
    "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0}}}},
  "TemplateRequest": {"type": "object", "required": ["messages"], "properties": {"model": {"type": ["string", "null"]},
    "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Message"}}}},
  "InfillRequest": {"allOf": [{"$ref": "#/components/schemas/Sampling"}], "type": "object", "required": ["input_prefix"],
    "properties": {"input_prefix": {"type": "string", "minLength": 1}, "input_suffix": {"type": ["string", "null"]}}},
  "Error": {"type": "object", "required": ["error"]}
})json";

Json operationOf(const Line& line) {
  Json operation = {{"summary", line.summary}, {"tags", Json::array({line.tag})}};
  if (line.path.find("{model}") != std::string_view::npos) {
    operation["parameters"] = Json::array(
        {{{"name", "model"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}});
  }
  if (!line.body.empty()) {
    operation["requestBody"] = {
        {"required", true},
        {"content",
         {{"application/json", {{"schema", {{"$ref", "#/components/schemas/" + std::string(line.body)}}}}}}}};
  }
  Json content = {{line.path == "/metrics" ? "text/plain" : "application/json", Json::object()}};
  if (!line.stream.empty()) content[std::string(line.stream)] = Json::object();
  operation["responses"]["200"] = {{"description", "The answer"}, {"content", std::move(content)}};
  // Errors have the shape of the API that was asked.
  operation["responses"]["default"] = {
      {"description", "What is wrong, in the API's own shape"},
      {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Error"}}}}}}}};
  return operation;
}

}  // namespace

Json openApiDocument(const std::string& version) {
  Json document = {
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "Quern"},
        {"version", version},
        {"description", "Large language models on this machine, for the others of its network."}}}};
  for (const Line& line : kLines)
    document["paths"][std::string(line.path)][std::string(line.method)] = operationOf(line);
  document["components"]["schemas"] = Json::parse(kSchemas);
  document["components"]["securitySchemes"] = {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}};
  return document;
}

}  // namespace quern::app::serve
