mod ingress;
mod permissions;
