import Broker
import Glibc
import Net

var settings = BrokerSettings()
if let loops = getenv("LOOPS") { settings.loops = Int(String(cString: loops))! }
let broker = Broker(settings: settings)
broker.start()
let listener = Listener(ListenerOptions(name: "tcp:external", host: "127.0.0.1", port: UInt16(CommandLine.arguments.dropFirst().first ?? "1883")!), broker: broker)
try listener.open()
print("up")
while true { pause() }
