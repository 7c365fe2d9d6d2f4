// From a place in the tree of messages to the messages that a model is shown. No Qt objects; any thread.
#pragma once

#include <string>
#include <vector>

#include "engine/scheduler/engine.h"
#include "engine/store/store.h"
#include "ui/bridge/model_service.h"

namespace quern::ui {

/// What to ask: all above `answer`, or up to and with it when the answer goes on.
struct PromptPlace {
  engine::store::Id chat = 0;
  engine::store::Id answer = 0;
  bool goOn = false;  ///< `soFar` is the beginning of the answer
  std::string soFar;
  std::string systemPrompt;
};

/// The path from the root to `place`. Attachments stand in front of their question; thoughts of earlier
/// answers and answers without text are left out; neighbours of one role are joined, since many templates
/// refuse them.
std::vector<engine::scheduler::ChatMessage> promptMessages(const std::vector<engine::store::Message>& tree,
                                                           const PromptPlace& place);

/// Reads the tree, renders it, and holds it against the model's context. Errors: kLimit with both numbers;
/// what the store and the renderer say.
engine::base::Result<std::vector<std::int32_t>> makePrompt(engine::store::Store& store,
                                                           const engine::scheduler::Engine& engine,
                                                           const ModelService::Renderer& renderer,
                                                           const PromptPlace& place);

}  // namespace quern::ui
