// Placeholder until the plugin lands.
public import CMartlet

@c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> { fatalError() }
