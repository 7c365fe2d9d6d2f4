// One function a family, each in a file of its name.
#pragma once

#include "engine/base/result.h"

namespace quern::engine::model {

class Builder;

// Each is called after Builder::readCommon() and fills the ropes, then calls Builder::buildTransformer() or
// Builder::buildEncoder().
base::Result<void> buildBert(Builder& builder);
base::Result<void> buildCohere2(Builder& builder);
base::Result<void> buildCommandR(Builder& builder);
base::Result<void> buildGemma(Builder& builder);
base::Result<void> buildGlm4(Builder& builder);
base::Result<void> buildGptNeoX(Builder& builder);
base::Result<void> buildGranite(Builder& builder);
base::Result<void> buildNomicBert(Builder& builder);
base::Result<void> buildOlmo2(Builder& builder);
base::Result<void> buildPhi2(Builder& builder);
base::Result<void> buildSmolLm3(Builder& builder);
base::Result<void> buildStableLm(Builder& builder);
base::Result<void> buildStarCoder2(Builder& builder);
base::Result<void> buildLlama(Builder& builder);
base::Result<void> buildQwen2(Builder& builder);
base::Result<void> buildQwen3(Builder& builder);
base::Result<void> buildGemma2(Builder& builder);
base::Result<void> buildGemma3(Builder& builder);
base::Result<void> buildPhi3(Builder& builder);
base::Result<void> buildQwen2Moe(Builder& builder);
base::Result<void> buildQwen3Moe(Builder& builder);
base::Result<void> buildGptOss(Builder& builder);
base::Result<void> buildDeepseek2(Builder& builder);

}  // namespace quern::engine::model
