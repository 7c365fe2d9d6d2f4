// The constructors that name the real engine, apart from the rest, so that a test with a scripted one links
// without it.
#include "ui/bridge/model_service.h"

namespace quern::ui {

ModelService::ModelService(QObject* parent)
    : ModelService(&engine::scheduler::Engine::load, &engine::scheduler::renderChat, parent) {}

ModelService::ModelService(Loader loader, QObject* parent)
    : ModelService(std::move(loader), &engine::scheduler::renderChat, parent) {}

}  // namespace quern::ui
