mod asked;
mod ingress;
mod permissions;
