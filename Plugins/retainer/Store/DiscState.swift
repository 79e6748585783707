struct DiscState {}
