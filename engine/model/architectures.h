// One function a family, each in a file of its name.
#pragma once

#include "engine/base/result.h"

namespace quern::engine::model {

class Builder;

// Each is called after Builder::readCommon() and fills the ropes, then calls Builder::buildTransformer().
base::Result<void> buildLlama(Builder& builder);
base::Result<void> buildQwen2(Builder& builder);
base::Result<void> buildQwen3(Builder& builder);
base::Result<void> buildGemma2(Builder& builder);
base::Result<void> buildGemma3(Builder& builder);
base::Result<void> buildPhi3(Builder& builder);
base::Result<void> buildQwen2Moe(Builder& builder);
base::Result<void> buildQwen3Moe(Builder& builder);
base::Result<void> buildGraniteMoe(Builder& builder);
base::Result<void> buildGptOss(Builder& builder);

}  // namespace quern::engine::model
