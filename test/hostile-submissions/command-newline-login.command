send-anyway carol@example.net
login bob