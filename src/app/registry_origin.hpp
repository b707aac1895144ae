// An image in a registry, as the configuration says to reach it.
#pragma once

#include <memory>

#include "app/configuration.hpp"
#include "app/image_origin.hpp"
#include "image/reference.hpp"
#include "registry/client.hpp"
#include "registry/transport.hpp"

namespace mlctr {

/// The transport's knobs, from the configuration: one transport serves a whole pull.
TransportSettings transport_settings(const Configuration& configuration);

/// What it says of one registry.
RegistrySettings registry_settings(const std::string& registry, const Configuration& configuration);

/// `transport` must outlive the origin.
std::unique_ptr<ImageOrigin> make_registry_origin(const ImageReference& reference, const Configuration& configuration,
                                                  Transport& transport);

}  // namespace mlctr
